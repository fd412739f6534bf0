"""Contact sheets for people: rows of frames, enlarged, as one picture."""

import numpy as np


def contact_sheet(rows: list[np.ndarray], scale: int = 3, gap: int = 2) -> np.ndarray:
    """Lay clips out as rows.

    Args:
        rows: clips uint8 (t, h, w, 3) of equal frame size; lengths may differ.
        scale: each pixel becomes a square of this side.
        gap: white pixels between frames.

    Returns:
        uint8 (H, W, 3).
    """
    height, width = rows[0].shape[1:3]
    most = max(len(row) for row in rows)
    sheet = np.full((len(rows) * (height * scale + gap), most * (width * scale + gap), 3), 255, np.uint8)
    for i, row in enumerate(rows):
        for j, frame in enumerate(row):
            top, left = i * (height * scale + gap), j * (width * scale + gap)
            sheet[top : top + height * scale, left : left + width * scale] = frame.repeat(scale, 0).repeat(
                scale, 1
            )
    return sheet
