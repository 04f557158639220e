Sie haben schon ein Konto
