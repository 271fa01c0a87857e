// Bars over time. A plot shows one series, named in words beside it, so that nobody has
// to tell colours apart; and the same numbers stand in a table.
import { useEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';

export interface Series { name: string; values: number[] }

// A canvas knows no variables, and nothing of light-dark().
function colour(name: string): string {
  const probe = document.createElement('span');
  probe.style.color = `var(${name})`;
  document.body.append(probe);
  const found = getComputedStyle(probe).color;
  probe.remove();
  return found;
}

const axis = (): uPlot.Axis => ({
  stroke: colour('--quiet'), grid: { stroke: colour('--line'), width: 1 }, ticks: { stroke: colour('--line'), width: 1 },
  font: '12px system-ui, sans-serif',
});

const days = 86_400;
const increments = [900, 1800, 3600, 10_800, 21_600, 43_200, ...[1, 2, 3, 4, 5, 7, 10, 15, 30, 61, 91, 183, 365, 730, 1826, 3652].map((n) => n * days)];

// The times are seconds; on the axis they stand as the zone that was asked for has them.
export function Plot({ label, times, series, unit, zone, height = 220 }:
  { label: string; times: number[]; series: Series; unit: string; zone: string; height?: number }) {
  const box = useRef<HTMLDivElement>(null);
  const [round, setRound] = useState(0);
  useEffect(() => {
    const again = () => setRound((n) => n + 1);
    const system = matchMedia('(prefers-color-scheme: dark)');
    window.addEventListener('activity:theme', again);
    system.addEventListener('change', again);
    return () => {
      window.removeEventListener('activity:theme', again);
      system.removeEventListener('change', again);
    };
  }, []);
  useEffect(() => {
    const element = box.current!;
    const width = () => Math.max(element.clientWidth, 200);
    const step = times.length > 1 ? times[1]! - times[0]! : days;
    const plot = new uPlot({
      width: width(), height,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone),
      cursor: { drag: { x: false, y: false } },
      scales: {
        // Half a step more on either side, so that the outer bars are whole.
        x: { range: (_plot, least, most) => [(least ?? 0) - step / 2, (most ?? 1) + step / 2] },
        y: { range: (_plot, _least, most) => [0, Math.max(1, (most ?? 1) * 1.05)] },
      },
      // A label stands under a bar, not between two.
      axes: [{ ...axis(), incrs: increments.filter((seconds) => seconds >= step * 0.9) }, { ...axis(), size: 56, incrs: [1, 2, 5, 10, 20, 50, 100, 200, 500, 1e3, 2e3, 5e3, 1e4, 2e4, 5e4, 1e5, 2e5, 5e5, 1e6, 2e6, 5e6, 1e7, 1e8, 1e9] }],
      series: [{ label: 'From' }, {
        label: unit, stroke: colour('--accent'), fill: colour('--accent'), width: 0,
        paths: uPlot.paths.bars!({ size: [0.7, 60] }), points: { show: false },
        value: (_plot, value) => value === null || value === undefined ? '–' : value.toLocaleString(),
      }],
    }, [times, series.values], element);
    const resize = new ResizeObserver(() => plot.setSize({ width: width(), height }));
    resize.observe(element);
    return () => { resize.disconnect(); plot.destroy(); };
  }, [times, series, zone, round]);
  const sum = series.values.reduce((all, value) => all + value, 0);
  return <div class="plot" ref={box} role="img" aria-label={`${label}: ${sum.toLocaleString()} ${unit} in all, at most ${Math.max(0, ...series.values).toLocaleString()} at a time. The table has the numbers.`} />;
}
