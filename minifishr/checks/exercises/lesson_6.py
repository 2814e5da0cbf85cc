"""Exercises of lesson 6: Fishr."""

EXERCISES = {}
