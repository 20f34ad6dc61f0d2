"""From clips of a corpus to a set that moves as they do: read, see their AUs, play them on other faces."""

import miex

if __name__ == "__main__":
    miex.corpora.fake("casme2", "CASME2")  # no licence? a stand-in; or name the folder that you were sent
    clips = miex.corpora.read("casme2", "CASME2")
    print(clips)
    pool = clips.extract(workers=2).pool()
    made = miex.synthesize(
        "mie-x-real", ids=20, sources=[miex.sources.real_mie(pool), miex.sources.expert()], workers=2
    )
    print(made)
    print(made[0].provenance["clip"])  # whose AUs the first sample shows
