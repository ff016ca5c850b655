"""What may be said of any picture: nothing leaves its frame, and no two things overlap."""


def assert_apart(boxes, frame):
    for i, box in enumerate(boxes):
        assert frame.x0 <= box.x0 < box.x1 <= frame.x1
        assert frame.y0 <= box.y0 < box.y1 <= frame.y1
        assert not any(box.overlaps(other) for other in boxes[:i])
