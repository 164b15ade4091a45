"""The trigger language: text -> tree (`parse`) -> a condition bound to keypoints and zones (`bind`), judged
of the mean or as a probability (`condition`)."""
