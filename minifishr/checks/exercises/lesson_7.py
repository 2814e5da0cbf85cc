"""Exercises of lesson 7: features."""

EXERCISES = {}
