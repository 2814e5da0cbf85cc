"""Exercises of lesson 5: variance, Fisher, Hessian."""

EXERCISES = {}
