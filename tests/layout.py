"""What may be said of any picture: no text is small, leaves the page or runs into another."""

from unittest import mock

from matplotlib.text import Text


def drawn_texts(figure):
    """Return the texts that a drawing shows, without ticks beyond the frame."""
    seen, draw = {}, Text.draw

    def spy(text, renderer, *rest):
        if text.get_visible() and text.get_text().strip():
            seen[id(text)] = text
        return draw(text, renderer, *rest)

    with mock.patch.object(Text, "draw", spy):
        figure.draw_without_rendering()
    return list(seen.values())


def assert_legible(figure, smallest=7.0):
    texts = drawn_texts(figure)
    boxes = [(text.get_text(), Text.get_window_extent(text)) for text in texts]
    assert min(text.get_fontsize() for text in texts) >= smallest
    for i, (words, box) in enumerate(boxes):
        assert 0 <= box.x0 < box.x1 <= figure.bbox.x1, words
        assert 0 <= box.y0 < box.y1 <= figure.bbox.y1, words
        for others, other in boxes[:i]:
            assert not box.overlaps(other), f"{words!r} runs into {others!r}"
