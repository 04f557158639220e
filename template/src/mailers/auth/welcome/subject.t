Verify your email address
