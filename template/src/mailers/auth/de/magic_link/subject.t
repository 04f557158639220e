Ihr Anmeldelink
