Bestätigen Sie Ihre E-Mail-Adresse
