/** The shape of a page while it is read: a head, a strip, a list. */
export default function Loading() {
  return (
    <div aria-hidden>
      <div className="skeleton mb-6 h-7 w-48" />
      <div className="mb-4 grid grid-cols-2 gap-3 md:grid-cols-4">
        {["a", "b", "c", "d"].map((key) => (
          <div key={key} className="skeleton h-20" />
        ))}
      </div>
      <div className="skeleton h-72" />
    </div>
  );
}
