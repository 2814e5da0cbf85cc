"""The penalty and the factory of a method whose file has nothing but a statistic and a distance."""

from .protocol import penalized, statistics, summed
from .settings import settings


def method(
    name, statistic, distance, defaults, recipes, *, second=None, switches=(), needed=2, ragged=False, **options
):  # fmt: skip
    """(penalty, factory) of a method; distance(phi, convention) -> () or, with a second weight, (2,).

    second names this weight and its warm-up among the hyper-parameters, switches those that the distance takes by their
    names. Other options are those of `penalized`.
    """

    def penalty(model, theta, domains, *, convention="paper", **given):
        """The distance of the domains' statistics, (): of two terms, the first + the second's weight * the second.

        A weight, and what else the distance takes, is given by its name. ValueError for too few domains.
        """
        names = [*switches, *(second or ())[:1]]
        known = settings(name, defaults, convention, {key: given.pop(key) for key in names if key in given})
        given |= {key: known[key] for key in switches}
        weight = second and known[second[0]]
        terms = distance(statistics(statistic, model, theta, domains, needed, ragged), convention, **given)
        return summed(terms, weight)

    def factory(model, *, convention="paper", **hyper_parameters):
        chosen = settings(name, defaults, convention, hyper_parameters)
        turned = {key: chosen.pop(key) for key in switches}
        pair = second and tuple(chosen[key] for key in second)
        schedule = {key: value for key, value in chosen.items() if key == "warm_up" or key not in (second or ())}
        apart = {"second": pair, "needed": needed, "ragged": ragged, **options, **schedule}
        return penalized(
            name, model, statistic, lambda phi: distance(phi, convention, **turned), recipes[convention], **apart
        )

    factory.__name__ = name
    return penalty, factory
