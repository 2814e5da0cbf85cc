"""Exercises of lesson 1: a network and its gradient."""

EXERCISES = {}
