import type { Metadata, Viewport } from "next";
import { headers } from "next/headers";
import type { ReactNode } from "react";
import { Providers } from "./_ui/providers.tsx";
import "./globals.css";

export const metadata: Metadata = {
  title: { default: "Culvert", template: "%s · Culvert" },
  description: "Site-to-site IPsec VPNs",
};
export const viewport: Viewport = {
  themeColor: [
    { media: "(prefers-color-scheme: light)", color: "#f7f8fa" },
    { media: "(prefers-color-scheme: dark)", color: "#0d1015" },
  ],
};

export default async function RootLayout({ children }: { children: ReactNode }) {
  const nonce = (await headers()).get("x-nonce") ?? undefined;
  return (
    <html lang="en" suppressHydrationWarning>
      <body>
        <Providers nonce={nonce} serverNow={Date.now()}>
          {children}
        </Providers>
      </body>
    </html>
  );
}
