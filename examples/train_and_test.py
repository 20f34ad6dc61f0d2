"""Train on a set, test on a corpus: folds over its people, and nobody tested lent AUs to what is trained on."""

import miex

if __name__ == "__main__":
    clips, made = miex.corpora.read("casme2", "CASME2"), miex.open("mie-x-real")
    found = miex.evaluate(clips, extra=made, mode="joint", folds="3-fold", no_apex="drop", workers=2)
    print(found)
    print(found.table())
    found.save("tables")  # Markdown, LaTeX, CSV, JSON
    miex.train(made, "ststnet", out="model")
