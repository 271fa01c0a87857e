// Light, dark, or what the system says; the one thing that is kept in the browser.
import { useState } from 'preact/hooks';

type Theme = 'system' | 'light' | 'dark';

const kept = (): Theme => {
  try {
    const value = localStorage.getItem('activity.theme');
    return value === 'light' || value === 'dark' ? value : 'system';
  } catch { return 'system'; }
};

function apply(theme: Theme) {
  if (theme === 'system') delete document.documentElement.dataset.theme;
  else document.documentElement.dataset.theme = theme;
  window.dispatchEvent(new Event('activity:theme'));
}

apply(kept());

export function ThemeChoice() {
  const [theme, setTheme] = useState(kept);
  return (
    <select aria-label="Colours" class="small" value={theme} onChange={(event) => {
      const value = event.currentTarget.value as Theme;
      setTheme(value);
      apply(value);
      try { localStorage.setItem('activity.theme', value); } catch { /* a session without storage */ }
    }}>
      <option value="system">System</option>
      <option value="light">Light</option>
      <option value="dark">Dark</option>
    </select>
  );
}
