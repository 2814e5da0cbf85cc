"""The scikit-learn face: a classifier that also takes domains. Needs scikit-learn: pip install 'minifishr[sklearn]'.

Read `rows` (what is trained on, and how) and `classifier`. Nothing else of the package imports this room.
"""

from .classifier import DomainClassifier

__all__ = ["DomainClassifier"]
