"""Exercises of lesson 3: IRM and V-REx."""

EXERCISES = {}
