"use client";

import { CSPProvider } from "@base-ui/react/csp-provider";
import { QueryClient, QueryClientProvider } from "@tanstack/react-query";
import { ThemeProvider } from "next-themes";
import { type ReactNode, useState } from "react";
import { ClockProvider } from "./clock.tsx";
import { Toasts } from "./toasts.tsx";

/** Everything a page may count on: theme, queries, toasts, one shared clock. */
export function Providers({ children, nonce, serverNow }: { children: ReactNode; nonce: string | undefined; serverNow: number }) {
  const [client] = useState(
    () =>
      new QueryClient({
        defaultOptions: {
          // The stream says when something changed; the long interval only covers a stream that is down.
          queries: { staleTime: 5_000, retry: 1, refetchOnWindowFocus: true },
        },
      }),
  );
  return (
    <CSPProvider nonce={nonce}>
      <ThemeProvider attribute="class" defaultTheme="system" enableSystem disableTransitionOnChange nonce={nonce ?? ""}>
        <QueryClientProvider client={client}>
          <ClockProvider serverNow={serverNow}>
            <Toasts>{children}</Toasts>
          </ClockProvider>
        </QueryClientProvider>
      </ThemeProvider>
    </CSPProvider>
  );
}
