"""The trigger language: text -> tree (`parse`) -> a condition bound to keypoints and zones (`bind`).

Conditions are evaluated at the mean or as a probability (`condition`).
"""
