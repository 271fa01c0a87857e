// A view that breaks is said to have; the rest stays, and another view can be gone to.
import { Component, type ComponentChildren } from 'preact';

export class Fence extends Component<{ children: ComponentChildren }, { broken: string | null }> {
  override state = { broken: null };

  override componentDidCatch(error: unknown) {
    console.error(error);
    this.setState({ broken: String(error) });
  }

  override render() {
    if (this.state.broken === null) return this.props.children;
    return (
      <div class="state error" role="alert">
        <p><strong>This view broke.</strong> That is a fault of ours: {this.state.broken}</p>
        <button type="button" onClick={() => location.reload()}>Load the page again</button>
      </div>
    );
  }
}
