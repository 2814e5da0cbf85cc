"""Makes minifishr/data/glyphs.npz, the shapes of the rendered digits: python tools/glyphs.py.

The outlines are the whole numbers in the fonts' own tables; no rasterizer sees them. Curves become short lines, and the
field of a glyph is the distance to the nearest of them, positive where the outline winds around the place. The fonts
are those that come with matplotlib, by name and by SHA-256: 3.8.4, 3.9.0, 3.10.8 and 3.11.2 have the same. Left out are
the symbol fonts, DejaVu Sans Mono, whose dotted zero reads as an 8 once it is small, and cmti10, which is new in 3.11.

Licences: DejaVu, Bitstream Vera Fonts Copyright; STIX, SIL Open Font License 1.1; Computer Modern (cm...), BaKoMa Fonts
Licence, originals at www.ctan.org/tex-archive/fonts/cm/ps-type1/bakoma. All of them allow this use.
"""

import hashlib
from io import BytesIO
from itertools import pairwise
from pathlib import Path

import numpy as np

from minifishr.data.rendered import HEIGHT, LEVELS, MIDDLE, ZOOM

TARGET = Path(__file__).parent.parent / "minifishr" / "data" / "glyphs.npz"
STEPS = 16  # lines for a curve: 0.003 pixels off at most
ROWS, COLUMNS = 51, 40  # cells from the middle to the border, which every glyph leaves black
SHA256 = {
    "DejaVuSans": "3fdf69cabf06049ea70a00b5919340e2ce1e6d02b0cc3c4b44fb6801bd1e0d22",
    "DejaVuSans-Bold": "b184b89e3c1075f22f6b71575b6fc20d4972b3cfd3b23322ca6fd596dcaef167",
    "DejaVuSans-BoldOblique": "6edf0283160186af451cbee71e7b845f2e4cabf264bb992ce668c83c25465e6f",
    "DejaVuSans-Oblique": "ccdf74b350f11fd3dd5774de50e5e6346a1a5da1f5b7d5fb83590665e97a5213",
    "DejaVuSerif": "107244956e9962b9e96faccdc551825e0ae0898ae13737133e1b921a2fd35ffa",
    "DejaVuSerif-Bold": "c3753f2ed6bc673f15846dc45addbeb3b9c872f32fb18fd53a21f1bef1ed7676",
    "DejaVuSerif-BoldItalic": "d93efec7a9d2e826768d1a2ee95b95870e15e29599a84f3484af1de1cec2e181",
    "DejaVuSerif-Italic": "3e7994fbc54fa10ce3352a42d548fadd7d9cadb69cb1109bc9d960f6dac57f04",
    "STIXGeneral": "167378031e2dddc6216d67819c9260e9a06ffc4c478e4e23cb98a6fd44b183c2",
    "STIXGeneralBol": "e8533dc7083fa346bda1933d60ea4a83b67d0945bceaf1b3541f82b4a0e2c6a0",
    "STIXGeneralBolIta": "98788fd4ba48dfbb2bd026c0e20a247a8b06c7372879628b7a6bb0d5bb09736c",
    "STIXGeneralItalic": "6cfcb333d22b7c3c623bdfd40174f14c85c3d6731ca6166c1edc80140eae8527",
    "cmb10": "074497b50c43ea57597181591f9893d38fc12a87e95104f5657fc2481f61a23a",
    "cmr10": "4dd9761b058c009db9b2145f55ee6617d093c273dd3d6c5b3e43ff6110fa9bf6",
    "cmss10": "7df91a83d05b2e471ec638cb0b435a360a3c792b09fc42a7da67e91f2e79115a",
    "cmtt10": "6211f09ae93599991afda970c24669dad1a77e253d915624fbf212f702f071d7",
}


def font(name):
    """The tables of a font of matplotlib's; ValueError if they are not those of `SHA256`."""
    import matplotlib
    from fontTools.ttLib import TTFont

    data = Path(matplotlib.get_data_path(), "fonts", "ttf", f"{name}.ttf").read_bytes()
    if hashlib.sha256(data).hexdigest() != SHA256[name]:
        raise ValueError(f"font: {name}.ttf of matplotlib {matplotlib.__version__} is another than the one of `SHA256`")
    return TTFont(BytesIO(data))


def corners(points, on):
    """A closed outline of lines, (c,2), from points (p,2) of which some are on it, the others pull a curve."""
    points, on = list(points), list(on)
    for i in reversed(range(len(points))):  # between two that pull, the point in the middle is on the outline
        if not on[i - 1] and not on[i]:
            points.insert(i, (points[i - 1] + points[i]) / 2)
            on.insert(i, True)
    t = np.arange(STEPS)[:, None] / STEPS
    lines = []
    for i in range(len(points)):
        before, here, after = points[i - 1], points[i], points[(i + 1) % len(points)]
        if not on[i]:
            lines.append((1 - t) ** 2 * before + 2 * t * (1 - t) * here + t**2 * after)
        elif on[(i + 1) % len(points)]:
            lines.append(here[None])
    return np.concatenate(lines)


def outlines(tables, digit):
    """The closed outlines of a digit, a list of (c,2): rows downwards and columns, in the font's units."""
    glyf = tables["glyf"]
    points, ends, flags = glyf[tables.getBestCmap()[ord(str(digit))]].getCoordinates(glyf)
    points, on = np.array(points, float)[:, ::-1] * [-1, 1], np.array(flags) & 1 == 1
    starts = [0, *(end + 1 for end in ends)]
    return [corners(points[a:b], on[a:b]) for a, b in pairwise(starts)]


def fitted(contours):
    """Outlines HEIGHT pixels high with their center of mass at 0, and their box: height and width."""
    low, high = (edge([edge(contour, axis=0) for contour in contours], axis=0) for edge in (np.min, np.max))
    contours = [(contour - low) * HEIGHT / (high - low)[0] for contour in contours]
    starts = np.concatenate(contours)
    ends = np.concatenate([np.roll(contour, -1, axis=0) for contour in contours])
    doubled = starts[:, 0] * ends[:, 1] - starts[:, 1] * ends[:, 0]  # triangles with the origin; holes negative
    center = ((starts + ends) * doubled[:, None]).sum(axis=0) / (3 * doubled.sum())
    return [contour - center for contour in contours], (high - low) * HEIGHT / (high - low)[0]


def signed_distances(contours, places):
    """From places (n,2) to the nearest outline, (n,), positive inside: where the outlines wind around the place."""
    nearest, winding = np.full(len(places), np.inf), np.zeros(len(places), int)
    for contour in contours:
        for start, end in zip(contour, np.roll(contour, -1, axis=0), strict=True):
            line, away = end - start, places - start
            along = np.clip(away @ line / max(line @ line, 1e-30), 0, 1)
            nearest = np.minimum(nearest, ((away - along[:, None] * line) ** 2).sum(axis=1))
            left = line[1] * away[:, 0] - line[0] * away[:, 1]
            down = (start[0] <= places[:, 0]) & (places[:, 0] < end[0]) & (left < 0)
            up = (end[0] <= places[:, 0]) & (places[:, 0] < start[0]) & (left > 0)
            winding += down.astype(int) - up
    return np.where(winding == 0, -1, 1) * np.sqrt(nearest)


def field(contours):
    """The signed distances around outlines as whole numbers, (2 ROWS + 1, 2 COLUMNS + 1) uint8."""
    cells = np.mgrid[-ROWS : ROWS + 1, -COLUMNS : COLUMNS + 1]
    distances = signed_distances(contours, cells.reshape(2, -1).T / ZOOM).reshape(cells.shape[1:])
    return np.clip(np.rint(distances * LEVELS) + MIDDLE, 0, 255).astype(np.uint8)


def differences(fields):
    """Second differences, along both axes and modulo 256: nearly all of them are 0 or 1 away from it."""
    zero = np.uint8(0)
    return np.diff(np.diff(fields, axis=-2, prepend=zero), axis=-1, prepend=zero)


def main():
    """Write the file."""
    glyphs = [[fitted(outlines(tables, digit)) for digit in range(10)] for tables in map(font, SHA256)]
    fields = np.array([[field(contours) for contours, _ in ten] for ten in glyphs])
    boxes = np.rint(1024 * np.array([[box for _, box in ten] for ten in glyphs])).astype(np.uint16)
    np.savez_compressed(TARGET, fonts=np.array(list(SHA256)), differences=differences(fields), boxes=boxes)


if __name__ == "__main__":
    main()
