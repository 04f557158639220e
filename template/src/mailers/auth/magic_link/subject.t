Your login link
