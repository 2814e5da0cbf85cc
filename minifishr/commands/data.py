"""`minifishr data`: get the digits and describe them."""

from ..data import load_digits


def add(commands):
    """Declare the command."""
    data = commands.add_parser("data", help="get the digits (download MNIST or render) and describe them")
    data.add_argument("--digits", default="auto", metavar="auto|mnist|rendered")
    data.set_defaults(run=run_data)


def run_data(args):
    """Load the digits, which downloads or renders them where needed, and say what there is."""
    digits = load_digits(args.digits)
    counts = " ".join(f"{label}:{(digits.labels == label).sum()}" for label in range(10))
    print(f"{digits.name}: {len(digits.labels)} images of {digits.images.shape[1]}x{digits.images.shape[2]}; {counts}")
    return 0
