"""Names of things: the type checker tells them apart, at run time they are strings."""

from typing import NewType

CentreId = NewType("CentreId", str)
StationId = NewType("StationId", str)
CameraId = NewType("CameraId", str)
ReceiverId = NewType("ReceiverId", str)
"""An AIS receiver or another sensor without a picture."""

StreamId = NewType("StreamId", str)
"""A uuid, never used again for another stream, so old footage keeps its camera."""

ZoneId = NewType("ZoneId", str)
SegmentId = NewType("SegmentId", str)
LocalTrackId = NewType("LocalTrackId", str)
"""One sensor's track; unique within the centre: ``<sensor>/<number>``."""

TrackId = NewType("TrackId", str)
"""A system track."""

AlarmId = NewType("AlarmId", str)
PersonId = NewType("PersonId", str)
"""A signed-in member of the watch, as the audit names them; nobody who is watched."""

CaseId = NewType("CaseId", str)
"""A rescue case; unique among all centres: ``<centre>/<year>-<number>``."""
