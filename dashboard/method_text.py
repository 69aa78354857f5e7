"""The words of the page on method."""

from __future__ import annotations

from dashboard.moments import PARTS
from dashboard.questions.recordings import PULL, PULL_MS
from mmer_ray.lake.overview import MIN_S, WORST_WINDOW_S

FIGURES = f"""
### What the figures are

- **Utterance**: one speaker's words without a long pause, at most 30 seconds. Emotion is judged per utterance, from its
  sound and, with some models, its words.
- **Shares** of emotions and of negative speech are shares of seconds. "Utterances answered", the page on models and
  the comparison of two models count utterances.
- **Emotion**: the most probable of the model's classes. **Confidence** is its probability, calibrated where the model
  is.
- **No answer**: the utterance was too short, the model was not sure enough, or the profile forbids the question.
  Nothing is guessed. Filters show or hide these utterances.
- **Negative speech**: seconds labelled angry, sad, fear, disgust or contempt, of all seconds with an answer.
- **Valence**: how pleasant speech sounds, from -1 to 1. Models of classes alone give none; the pages then show negative
  speech in its place. Means are over utterances; by quarter of the recording they are means over recordings, of which a
  long one counts like a short one. An utterance whose emotion is too unsure to be named may still have a valence, and
  counts unless it is left out.
- **Worst moment**: the {WORST_WINDOW_S:g} seconds with the most expected anger, all speakers counted: each utterance
  adds its probability of anger times its seconds. Less than {MIN_S:g} s is no moment. `mmer show` uses the same.
- **Negative moments** of a recording: the worst one, others with anger that do not touch it, then those with the most
  seconds of utterances labelled negative.
- **Worst 30 s** in the list of recordings is the lowest mean valence of 30 seconds. For the order it is pulled towards
  neutral by how little was said: of a recording of n utterances n / (n + {PULL}) of it counts, so that a short call
  with one bad sentence does not lead the list. The share of negative speech, of the roles and the confidence chosen, is
  pulled down likewise, as if {PULL_MS // 1000} more seconds had been heard. Lines and bars in the list are those of all
  speakers, and cut each recording into {PARTS} parts of equal length.
- **Recordings** counts audio once per corpus, however many files hold it. Files that failed are counted apart and are
  in no other figure.
"""

LIMITS = """
### What they are not

- A label says how speech **sounds to a model**, not what somebody feels, means or intends. People who listen agree with
  each other only in part, and so does the model with them: `mmer evaluate` and the page on models say how well.
- Accuracy differs between languages, accents, ages, microphones and lines. A difference between two groups of people
  may be a difference in how well the model hears them.
- Small numbers vary by chance. A change of a few points over a few hundred utterances means nothing.
- Speakers are told apart by their voices, or by their channel where the profile says so. Both can be wrong; the page of
  a recording lets you listen, rename, merge and split.
- Words come from a recognizer and contain errors, above all names and numbers.
"""

POLICY = """
### What the law asks

- **Employees** (EU AI Act, Art. 5(1)(f), since 2025-02): inferring the emotions of people at their workplace is
  forbidden but for medical or safety reasons. The profile `call-centre-eu` scores customers only; what agents say is
  marked *not scored by policy*. There is no ranking of employees here, and none should be made of the exports.
- **Notice** (Art. 50(3), since 2026-08-02): people whose emotions are recognized must be told. The overview shows for
  each corpus whether they were, and on what legal basis it is processed.
- This is no legal advice.
"""

ACCESS = """
### Who sees what

- Every question about recordings and what was said in them names the corpora that its viewer may see; "Show the SQL"
  below each page prints them. Runs are those of these corpora; who may see every corpus is shown all runs. Sound and
  exports have signed addresses that hold for a quarter of an hour, and are checked again when they are opened.
- Two corpora may have the same audio. Verdicts and corrections are then shown to who may see the corpus in which they
  were written. Speakers have the same names in both, so only who may see all corpora of the audio can change them.
- The server may keep a log of which recordings were opened, heard and exported, and of what was refused. It holds no
  text of a call.
- No page asks any other host for anything.
- Waveforms are kept for a week in a folder of whoever runs the server (`MMER_DASHBOARD_CACHE`): how loud a recording is
  from moment to moment, no sound and no words.
- Words that somebody corrected are shown on the recording's page. Search and downloads have those of the recognizer.
- In CSV, text that a spreadsheet would run as a formula has an apostrophe before it.
"""

OIDC = """
You are signed in through an identity provider. The sign-in is kept in a cookie for up to 30 days, and cannot be taken
back for one person while the server runs (the server does not revoke it): who loses access must be removed from the
access file, and the server restarted, which signs everybody out. Another cookie keeps the address that you opened last,
for an hour or until you sign out, so that a sign-in leads back to it. Do not pass on the addresses of sound and
exports: for a quarter of an hour they open for whoever has them.
"""
