Your password was changed
