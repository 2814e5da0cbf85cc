"""Exercises of lesson 0: why a network takes the shortcut."""

EXERCISES = {}
