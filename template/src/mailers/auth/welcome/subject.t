Welcome, {{name}}
