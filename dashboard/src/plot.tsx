// Plots that are read without colour: each series has its own dashes and marks, its name
// stands in the legend with its value, and the same numbers are a table below.
import { useEffect, useRef, useState } from 'preact/hooks';
import uPlot from 'uplot';

export interface Series { name: string; values: (number | null)[] }

const dashes: number[][] = [[], [8, 4], [2, 3], [10, 3, 2, 3], [5, 5], [14, 4], [1, 4], [8, 2, 2, 2, 2, 2]];

const colour = (name: string) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();

const axis = (): uPlot.Axis => ({
  stroke: colour('--quiet'), grid: { stroke: colour('--line'), width: 1 }, ticks: { stroke: colour('--line'), width: 1 },
  font: '12px system-ui, sans-serif',
});

// The times are seconds; in the axis they stand as the zone that was asked for has them.
export function Plot({ label, times, series, unit, bars, zone }:
  { label: string; times: number[]; series: Series[]; unit: string; bars: boolean; zone: string }) {
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
    const height = 220;
    const plot = new uPlot({
      width: Math.max(element.clientWidth, 200), height,
      tzDate: (seconds) => uPlot.tzDate(new Date(seconds * 1000), zone),
      cursor: { drag: { x: false, y: false } },
      scales: { y: { range: (_plot, least, most) => [Math.min(0, least ?? 0), Math.max(1, (most ?? 1) * 1.05)] } },
      axes: [axis(), { ...axis(), size: 64 }],
      series: [{ label: 'Time' }, ...series.map(({ name }, at): uPlot.Series => ({
        label: series.length === 1 ? unit : name,
        stroke: colour(`--series-${at % 8 + 1}`), width: 2, dash: dashes[at % dashes.length],
        ...bars && series.length === 1 ? { fill: colour('--series-1-fill'), paths: uPlot.paths.bars!({ size: [0.7, 60] }), points: { show: false } } : { points: { show: times.length < 60, size: 5 } },
        value: (_plot, value) => value === null || value === undefined ? '–' : value.toLocaleString(),
      }))],
    }, [times, ...series.map(({ values }) => values)], element);
    const resize = new ResizeObserver(() => plot.setSize({ width: Math.max(element.clientWidth, 200), height }));
    resize.observe(element);
    return () => { resize.disconnect(); plot.destroy(); };
  }, [times, series, zone, round]);
  const sum = series.map(({ name, values }) => `${name}: ${values.reduce<number>((all, value) => all + (value ?? 0), 0).toLocaleString()}`).join(', ');
  return <div class="plot" ref={box} role="img" aria-label={`${label}, ${unit}. ${sum}. The table below has the numbers.`} />;
}
