"""Exercises of lesson 4: agreeing gradients."""

EXERCISES = {}
