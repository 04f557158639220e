Your email address was changed
