import Link from "next/link";

export default function NotFound() {
  return (
    <div className="max-w-xl">
      <h1>Not found</h1>
      <p className="mt-2 text-text-2">It may have been deleted, or the address has a typing error. Ctrl K finds every site and link by name.</p>
      <Link href="/" className="btn mt-4">
        To the overview
      </Link>
    </div>
  );
}
