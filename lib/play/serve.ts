/** Serves the page to browsers on this machine, and creates it again for each load. */

import { createServer } from 'node:http'

export interface PlayServer {
  readonly url: string
  close(): Promise<void>
}

/**
 * Listens on a free port of the loopback interface. Calls `makePage` for each load; if it rejects,
 * the response says why.
 */
export async function servePage(makePage: () => Promise<string>): Promise<PlayServer> {
  const server = createServer(async (request, response) => {
    // Prevent DNS rebinding: another site must not read this page under its own name.
    if (!/^(?:127\.0\.0\.1|localhost)(?::\d+)?$/.test(request.headers.host ?? '')) {
      response.writeHead(403).end()
      return
    }
    if (request.method !== 'GET' || request.url !== '/') {
      response.writeHead(404).end()
      return
    }
    try {
      const page = await makePage()
      response
        .writeHead(200, { 'content-type': 'text/html; charset=utf-8', 'cache-control': 'no-store' })
        .end(page)
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error)
      response
        .writeHead(500, { 'content-type': 'text/plain; charset=utf-8' })
        .end(`${why}\n\nFix it, and reload this page.\n`)
    }
  })
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject)
    server.listen(0, '127.0.0.1', resolve)
  })
  const address = server.address()
  const port = typeof address === 'object' && address !== null ? address.port : 0
  return {
    url: `http://127.0.0.1:${port}/`,
    close: () =>
      new Promise(resolve => {
        server.close(() => resolve())
        server.closeAllConnections()
      })
  }
}
