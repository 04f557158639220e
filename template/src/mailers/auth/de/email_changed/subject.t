Ihre E-Mail-Adresse wurde geändert
