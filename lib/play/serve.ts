/**
 * Serves the page to the browsers of this machine, and makes it anew each time that it is loaded.
 */

import { createServer } from 'node:http'

export interface PlayServer {
  readonly url: string
  close(): Promise<void>
}

/**
 * Listens on a free port of the loopback interface. `makePage` runs for each load; when it fails,
 * the page says why.
 */
export async function servePage(makePage: () => Promise<string>): Promise<PlayServer> {
  const server = createServer(async (request, response) => {
    // A page of another site must not read this one under a name that leads here.
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
        .end(`${why}\n\nRepair it, and load this page again.\n`)
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
