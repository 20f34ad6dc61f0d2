"""Ask the recognizer that comes with miex about a clip. It says what a face did, not what anybody felt."""

import miex

if __name__ == "__main__":
    recognizer = miex.load_recognizer()
    print(recognizer)
    clip = miex.corpora.read("casme2", "CASME2").reading.clips[0]
    print(clip)
    onset, apex = clip.frames[clip.onset], clip.frames[clip.apex]
    print(recognizer.predict((onset, apex)))
