/**
 * A registry for one package, the tarball named on the command line; all other requests are
 * redirected to the public one. npm treats a package from a registry differently from a file: it
 * never runs its `prepare`. Prints its URL, and ends with its standard input.
 */
import { createHash } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { createServer } from 'node:http'

const [tarball, manifestFile] = process.argv.slice(2)
const bytes = readFileSync(tarball)
const manifest = JSON.parse(readFileSync(manifestFile, 'utf8'))
const integrity = `sha512-${createHash('sha512').update(bytes).digest('base64')}`

const server = createServer((request, response) => {
  const base = `http://127.0.0.1:${server.address().port}`
  if (request.url === `/${manifest.name}`) {
    const dist = { tarball: `${base}/${manifest.name}.tgz`, integrity }
    const versions = { [manifest.version]: { ...manifest, dist } }
    response.setHeader('content-type', 'application/json')
    response.end(
      JSON.stringify({ name: manifest.name, 'dist-tags': { latest: manifest.version }, versions })
    )
  } else if (request.url === `/${manifest.name}.tgz`) {
    response.end(bytes)
  } else {
    response.writeHead(302, { location: `https://registry.npmjs.org${request.url}` }).end()
  }
})
server.listen(0, '127.0.0.1', () => console.log(`http://127.0.0.1:${server.address().port}/`))
process.stdin.resume().on('end', () => process.exit())
