"""Which pictures a results folder gets, each drawn on its own, because none is worth the table."""

from .. import plots
from . import figures
from .each import each_figure
from .matching import titled
from .presets import TOYS
from .tables import by_size

MOST = 20  # classes of a confusion matrix


def write_figures(folder, results, tasks, selection="last"):
    """Draw what the runs can show, each picture on its own, whatever the user's matplotlib is set to: a list of what
    went wrong, one sentence a picture. `tasks` is a Problem, or {left-out domain: Problem} for several."""
    troubles, tasks = [], tasks if isinstance(tasks, dict) else {None: tasks}
    task, *others = tasks.values()
    with plots.own_settings():
        if others:
            title = titled(f"own data, preset {results[0].config.preset}", [result.config for result in results])
            found = {"left_out": lambda: each_figure(results, tasks, title, selection)}
        else:
            found = drawings(*literally([at_step(result, selection) for result in results], task), selection)
        for name, draw in found.items():
            try:
                draw().savefig(folder / f"{name}.png", dpi=120)
            except Exception as error:  # a picture is never worth the table, which is written by now
                troubles.append(f"{name}.png cannot be drawn: {' '.join(str(error).split())[:200]}")
    return troubles


def at_step(result, selection):
    """A run with the parameters of the step that the table shows."""
    return result if selection == "last" or result.best is None else result._replace(theta=result.best)


def literally(results, problem):
    """The same with names of domains that matplotlib takes as they are, not as formulas."""

    def plain(part):
        return [domain._replace(name=plots.literal(domain.name)) for domain in part]

    parts = {key: plain(getattr(problem, key)) for key in ("train", "validation", "test", "oracle")}
    labels = [plots.literal(str(label)) for label in problem.labels]
    problem = problem._replace(name=plots.literal(problem.name), labels=labels, **parts)
    histories = [[row._replace(domain=plots.literal(row.domain)) for row in result.history] for result in results]
    return [r._replace(history=rows) for r, rows in zip(results, histories, strict=True)], problem


def drawings(results, problem, selection):
    """Name -> function that draws it: accuracy, objective and variances for one problem; domains where their number
    varies; agreement where it was measured; images where there are any."""
    sizes = {n: groups for n, part in by_size(results).items() if (groups := figures.finished(part))}
    if not sizes:
        return {}
    config, groups = results[0].config, next(iter(sizes.values()))
    seeds = len({result.config.seed for result in results})
    title = titled(f"{problem.name}, preset {config.preset}", [result.config for result in results])
    several = f"{title}, {seeds} seed{'s' if seeds > 1 else ''}"
    first = [run for group in groups.values() for run in group if run.config.seed == config.seed]
    of_seed, own = f"{title}, seed {config.seed}", figures.finished(first)  # the problem's rows are this seed's
    found, one_size = {}, len(by_size(results)) == 1
    if not one_size:
        found["domains"] = lambda: figures.domains_figure(sizes, problem, several, selection)
    else:
        found["accuracy"] = lambda: figures.accuracy_figure(groups, problem, several)
        found["objective"] = lambda: figures.objective_figure(groups, several)
    if own and one_size:
        found["variances"] = lambda: figures.variance_figure(own, problem, of_seed)
    if config.dataset in TOYS:
        found["agreement"] = lambda: figures.agreement_figure(sizes, several)
    if len(sizes) == 1 and config.invariances:
        found["invariances"] = lambda: figures.invariance_figure(results, several)
    if own and len(sizes) == 1 and config.invariances:
        found["landscape"] = lambda: figures.landscape_figure(own, problem, of_seed)
    if own and 0 < len(problem.labels) <= MOST:
        found["confusion"] = lambda: figures.confusion_figure(own, problem, of_seed)
    if problem.shape:
        found["images"] = lambda: figures.image_figure(problem)
    return found
