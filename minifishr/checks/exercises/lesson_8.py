"""Exercises of lesson 8: comparing."""

EXERCISES = {}
