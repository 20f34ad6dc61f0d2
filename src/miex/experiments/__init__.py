"""One file per table or figure: where recognition and evaluation meet."""
