import Link from "next/link";

export default function NotFound() {
  return (
    <main className="mx-auto max-w-xl px-4 pt-[15vh]">
      <h1>Not found</h1>
      <p className="mt-2 text-text-2">There is no such page.</p>
      <Link href="/" className="btn mt-4">
        To the overview
      </Link>
    </main>
  );
}
