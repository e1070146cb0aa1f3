"""What radars report, as observations; plots without a number become chains.

A radar that tracks gives its things numbers, and a number is taken for a name as long
as it is heard. Bare plots of one radar are chained first: the nearest that a boat could
have reached since the last turn of the antenna, each plot in one chain. A chain is no
track: the fusion still wants to hear it three times.

Source: docs/design/tracking.md, "Radar".
"""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import count

import numpy as np

from almenara.core.coast import Radar
from almenara.core.ids import LocalTrackId
from almenara.core.radar import RadarReport
from almenara.geo.geodesy import inverse
from almenara.geo.sea_surface import FloatArray
from almenara.tracking.association import associate
from almenara.tracking.observations import RadarObservation

FASTEST_MPS = 31.0
"""60 knots, as for every other sensor."""

LEAST_TURN_S = 1.0
"""No coastal antenna turns faster than 48 times a minute."""

CHAIN_LIVES = timedelta(seconds=20)
"""Several turns of a slow coastal antenna."""

MAX_CHAINS = 4096
"""Rain gives thousands of plots; the oldest chains are given up."""

PLOTS_TO_TELL = 3
"""Clutter makes chains of two at every turn; together with the three looks that the
fusion wants, five turns in a row."""

PLOT_EXISTENCE = 0.85
TRACK_EXISTENCE = 0.95
"""A radar's own track has been seen over several turns already; a choice."""


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class _Chain:
    name: LocalTrackId
    at: datetime
    place_m: FloatArray
    """East and north of the radar, shape (2,)."""

    plots: int = 1


class RadarSense:
    """Makes observations of one radar's reports."""

    def __init__(self, radar: Radar) -> None:
        self.radar = radar
        self._chains: list[_Chain] = []
        self._numbers = count(1)

    def observe(self, reports: list[RadarReport]) -> list[RadarObservation]:
        """Observations of what came together: the radar's own tracks, then plots."""
        placed = [r for r in reports if _is_placed(r)]
        plots = [r for r in placed if r.track_number is None]
        tracked = [r for r in placed if r.track_number is not None]
        named = [
            (report, LocalTrackId(f"{self.radar.receiver_id}/{report.track_number}"))
            for report in tracked
        ]
        named += [
            (plot, chain.name)
            for plot, chain in zip(plots, self._chain(plots), strict=True)
            if chain.plots >= PLOTS_TO_TELL
        ]
        return [self._observation(report, name) for report, name in named]

    def _observation(self, report: RadarReport, name: LocalTrackId) -> RadarObservation:
        azimuth_deg, range_m = self._polar(report)
        tracked = report.track_number is not None
        return RadarObservation(
            radar_id=self.radar.receiver_id,
            local_track_id=name,
            observed_at=report.measured_at,
            origin=self.radar.position,
            azimuth_deg=azimuth_deg,
            azimuth_std_deg=self.radar.azimuth_std_deg,
            range_m=range_m,
            range_std_m=self.radar.range_std_m,
            existence=TRACK_EXISTENCE if tracked else PLOT_EXISTENCE,
            is_last=report.is_last,
            simulated=report.simulated,
        )

    def _polar(self, report: RadarReport) -> tuple[float, float]:
        """Azimuth and range at the radar; of a position, those it would have there."""
        if report.azimuth_deg is not None and report.range_m is not None:
            azimuth_deg = report.azimuth_deg + self.radar.azimuth_offset_deg
            return azimuth_deg % 360.0, report.range_m
        there = report.position or self.radar.position
        range_m, azimuth_deg = inverse(self.radar.position, there)
        return azimuth_deg, range_m

    def _chain(self, plots: list[RadarReport]) -> list[_Chain]:
        """The chain of each plot: one that it lengthens, or a new one."""
        if not plots:
            return []
        now = max(plot.measured_at for plot in plots)
        self._chains = [c for c in self._chains if now - c.at <= CHAIN_LIVES]
        places = np.stack([self._place_m(plot) for plot in plots])
        pairs = associate(self._costs(plots, places), gate=1.0).pairs
        chained = {j: i for i, j in pairs}
        result: list[_Chain] = []
        for j, (plot, place) in enumerate(zip(plots, places, strict=True)):
            if j in chained:
                old = self._chains[chained[j]]
                chain = replace(
                    old, at=plot.measured_at, place_m=place, plots=old.plots + 1
                )
                self._chains[chained[j]] = chain
            else:
                name = f"{self.radar.receiver_id}/p{next(self._numbers)}"
                chain = _Chain(
                    name=LocalTrackId(name), at=plot.measured_at, place_m=place
                )
                self._chains.append(chain)
            result.append(chain)
        self._chains = self._chains[-MAX_CHAINS:]
        return result

    def _costs(self, plots: list[RadarReport], places: FloatArray) -> FloatArray:
        """How far each plot is from each chain, as part of what a boat can do."""
        if not self._chains:
            return np.empty((0, len(plots)))
        start = plots[0].measured_at
        then = np.array([(c.at - start).total_seconds() for c in self._chains])
        now = np.array([(p.measured_at - start).total_seconds() for p in plots])
        dt_s = now[None, :] - then[:, None]
        before = np.stack([chain.place_m for chain in self._chains])
        apart_m = np.linalg.norm(places[None] - before[:, None], axis=2)
        across_m = np.linalg.norm(places, axis=1) * np.deg2rad(
            self.radar.azimuth_std_deg
        )
        spread_m = np.hypot(across_m, self.radar.range_std_m)
        reach_m = FASTEST_MPS * dt_s + 3.0 * spread_m[None, :]
        # Two plots of one turn are two things.
        possible = (dt_s >= LEAST_TURN_S) & (apart_m <= reach_m)
        result: FloatArray = np.where(possible, (apart_m / reach_m) ** 2, np.inf)
        return result

    def _place_m(self, plot: RadarReport) -> FloatArray:
        """East and north of the radar, near enough to tell neighbours apart."""
        azimuth_deg, range_m = self._polar(plot)
        azimuth = np.deg2rad(azimuth_deg)
        return range_m * np.array([np.sin(azimuth), np.cos(azimuth)])


def _is_placed(report: RadarReport) -> bool:
    polar = report.azimuth_deg is not None and report.range_m is not None
    return polar or report.position is not None
