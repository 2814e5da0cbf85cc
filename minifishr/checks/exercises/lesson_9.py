"""Exercises of lesson 9: a method of your own."""

EXERCISES = {}
