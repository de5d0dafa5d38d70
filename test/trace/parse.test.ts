import { describe, expect, it } from 'vitest'
import { linkOf } from '../../lib/errors.js'
import { parseTrace, TraceParser } from '../../lib/trace/parse.js'
import { ALIGNED, CALLOC, FREE, MALLOC, REALLOC, type Trace } from '../../lib/trace/trace.js'

const HEADER = '1000\n2\n3\n1\n'

/** The operations of a trace as rows: kind, id, size, extra, line. */
function rows(trace: Trace): number[][] {
  return Array.from(trace.kinds, (kind, i) => [
    kind,
    trace.idOf[i],
    trace.sizes[i],
    trace.extras[i],
    trace.lines[i]
  ])
}

describe('parseTrace', () => {
  it('reads every kind of operation with its line', () => {
    const trace = parseTrace(
      `1000\n3\n7\n1\na 0 512\nc 1 4 16\nm 2 64 100\nr 0 640\nf 1\nf 0\nf 2\n`
    )
    expect(rows(trace)).toEqual([
      [MALLOC, 0, 512, 0, 5],
      [CALLOC, 1, 16, 4, 6],
      [ALIGNED, 2, 100, 64, 7],
      [REALLOC, 0, 640, 0, 8],
      [FREE, 1, 0, 0, 9],
      [FREE, 0, 0, 0, 10],
      [FREE, 2, 0, 0, 11]
    ])
    expect(trace).toMatchObject({ length: 7, ids: 3, notes: [] })
  })

  it('reads CRLF, tabs, indentation, blank lines, a byte order mark and an open last line', () => {
    const trace = parseTrace('\ufeff1000\r\n2\r\n3\r\n1\r\n\r\n  a\t0  8\r\n\r\na 1 9 \r\nf 0')
    expect(rows(trace)).toEqual([
      [MALLOC, 0, 8, 0, 6],
      [MALLOC, 1, 9, 0, 8],
      [FREE, 0, 0, 0, 9]
    ])
    expect(trace.notes).toEqual([])
  })

  it('skips comments of any length, anywhere', () => {
    const trace = parseTrace(
      `# made by hand\n${HEADER}a 0 8 # first\n#${'x'.repeat(5000)}\n   # é\na 1 8\n#\nf 0\n# end`
    )
    expect(rows(trace).map(row => row[4])).toEqual([6, 9, 11])
  })

  it.each([
    ['1000\n2\n3\n1\n', []],
    ['1\n2\n3\n', []],
    ['2\n3\n', []],
    ['20000\n', []],
    ['', ['there is no header']],
    ['1000\n2\n4\n1\n', ['the header says 4 operations, but there are 3']],
    ['1000\n2\n2\n1\n', ['the header says 2 operations, but there are 3']],
    ['2\n9\n', ['the header says 9 operations, but there are 3']],
    ['1000\n5\n3\n1\n', ['the header says 5 ids, but there are 2']],
    ['99999999999999999999\n2\n3\n18446744073709551616\n', []],
    [
      `1\n2\n9007199254740993\n${'9'.repeat(200)}\n`,
      ['the header says 9007199254740993 operations, but there are 3']
    ],
    [
      `${'9'.repeat(200)}\n2\n`,
      [
        `the header says 2 operations, but there are 3`,
        `the header says ${'9'.repeat(40)}… ids, but there are 2`
      ]
    ]
  ])('takes the header %j with the notes %j', (header, notes) => {
    const trace = parseTrace(`${header}a 0 8\na 1 8\nf 0\n`)
    expect(trace.length).toBe(3)
    expect(trace.notes).toEqual(notes)
  })

  it('reads a trace that is only a header', () => {
    expect(parseTrace('1000\n0\n0\n1\n')).toMatchObject({ length: 0, ids: 0, notes: [] })
  })

  it('numbers ids densely by first appearance, however large or scattered they are', () => {
    const trace = parseTrace(
      'a 900 1\na 7 1\na 9007199254740991 1\na 16777216 1\nf 7\nf 9007199254740991\na 7 2\n'
    )
    expect(Array.from(trace.idOf)).toEqual([0, 1, 2, 3, 1, 2, 1])
    expect(trace.ids).toBe(4)
  })

  it('recognizes an id, however many came before and however far they are apart', () => {
    const far = parseTrace('a 7 1\na 5000 1\na 900000 1\nf 7\nf 5000\nf 900000\na 7 1\n')
    expect(Array.from(far.idOf)).toEqual([0, 1, 2, 0, 1, 2, 0])
    const lines = (letter: string, end: string) =>
      Array.from({ length: 3000 }, (_, i) => `${letter} ${i}${end}\n`).join('')
    const many = parseTrace(lines('a', ' 8') + lines('f', ''))
    expect(many.ids).toBe(3000)
    expect(Array.from(many.idOf.subarray(3000))).toEqual(Array.from({ length: 3000 }, (_, i) => i))
  })

  it('accepts a product of 2^53 - 1 bytes', () => {
    expect(parseTrace('c 0 1 9007199254740991\n').sizes[0]).toBe(Number.MAX_SAFE_INTEGER)
  })

  it('reads free(NULL), realloc of an id without a block and realloc to 0', () => {
    const trace = parseTrace(`${HEADER}f -1\nr 0 10\nr 0 20\nr 0 0\nr 0 30\nf 0\n`)
    expect(rows(trace).map(row => row.slice(0, 3))).toEqual([
      [FREE, -1, 0],
      [MALLOC, 0, 10],
      [REALLOC, 0, 20],
      [FREE, 0, 0],
      [MALLOC, 0, 30],
      [FREE, 0, 0]
    ])
  })

  it('grows over many operations', () => {
    const count = 5000
    const text = Array.from({ length: count }, (_, i) => `a ${i} ${i}\n`).join('')
    const trace = parseTrace(text)
    expect(trace.length).toBe(count)
    expect(Array.from(trace.sizes)).toEqual(Array.from({ length: count }, (_, i) => i))
    expect(trace.lines[count - 1]).toBe(count)
  })

  it('reads the same trace in portions of any size', () => {
    const text = `# c\r\n${HEADER}a 0 512\nc 1 4 16 # x\nr 0 640\nf -1\nf 1`
    const whole = rows(parseTrace(text))
    const bytes = new TextEncoder().encode(text)
    for (const size of [1, 2, 3, 7]) {
      const parser = new TraceParser('t')
      for (let i = 0; i < bytes.length; i += size) parser.push(bytes.subarray(i, i + size))
      expect(rows(parser.finish('t'))).toEqual(whole)
    }
  })

  it.each([
    ['x 0 8', "t:5: unknown operation 'x'; expected a, r, c, m or f"],
    ['a0 8', "t:5: unknown operation 'a0'; expected a, r, c, m or f"],
    ['a', 't:5: the line ends where ID should be; malloc is "a ID SIZE"'],
    ['a 0', 't:5: the line ends where SIZE should be; malloc is "a ID SIZE"'],
    ['c 0 8', 't:5: the line ends where SIZE should be; calloc is "c ID COUNT SIZE"'],
    [
      'm 0 8',
      't:5: the line ends where SIZE should be; an aligned allocation is "m ID ALIGNMENT SIZE"'
    ],
    ['r 0', 't:5: the line ends where SIZE should be; realloc is "r ID SIZE"'],
    ['f', 't:5: the line ends where ID should be; free is "f ID"'],
    ['w 0', 't:5: the line ends where SIZE should be; a write to a block is "w ID SIZE"'],
    ['a 0 8 9', `t:5: '9' is one field too many; malloc is "a ID SIZE"`],
    ['a 0 8\nf 0 8', `t:6: '8' is one field too many; free is "f ID"`],
    ['f 0 8', 't:5: id 0 is freed but was never allocated'],
    ['a 0 -8', "t:5: SIZE must be a whole number, 0 or more, found '-8'"],
    ['a 0 1.5', "t:5: SIZE must be a whole number, 0 or more, found '1.5'"],
    ['a 0 1e3', "t:5: SIZE must be a whole number, 0 or more, found '1e3'"],
    ['a 0 0x10', "t:5: SIZE must be a whole number, 0 or more, found '0x10'"],
    ['a 0 NaN', "t:5: SIZE must be a whole number, 0 or more, found 'NaN'"],
    ['a -1 8', "t:5: ID must be a whole number, 0 or more, found '-1'"],
    ['f -2', "t:5: ID must be a whole number, or -1 for NULL, found '-2'"],
    ['a 0 9007199254740992', 't:5: SIZE must be less than 2^53, found 9007199254740992'],
    [`a 0 ${'9'.repeat(200)}`, `t:5: SIZE must be less than 2^53, found ${'9'.repeat(40)}…`],
    ['c 0 9007199254740991 2', 't:5: 9007199254740991 × 2 bytes is more than 2^53 - 1'],
    ['m 0 24 8', 't:5: ALIGNMENT must be a power of two, found 24'],
    ['m 0 0 8', 't:5: ALIGNMENT must be a power of two, found 0'],
    ['a 0 8\na 0 8', 't:6: id 0 is allocated again while its block is still in use'],
    ['a 0 8\nc 0 8 8', 't:6: id 0 is allocated again while its block is still in use'],
    ['a 0 8\nf 0\nf 0', 't:7: id 0 is freed twice'],
    ['r 0 0', 't:5: id 0 is reallocated to 0 bytes but was never allocated'],
    ['a 0 8\nf 0\nr 0 0', 't:7: id 0 is reallocated to 0 bytes after its free'],
    ['~ 0 8', "t:5: unknown operation '~'; expected a, r, c, m or f"],
    ['+ 0 8', "t:5: unknown operation '+'; expected a, r, c, m or f"],
    [`${'x'.repeat(40)}`, `t:5: unknown operation '${'x'.repeat(40)}'; expected a, r, c, m or f`],
    [`${'x'.repeat(41)}`, `t:5: unknown operation '${'x'.repeat(40)}…'; expected a, r, c, m or f`],
    ['5', 't:5: a header has at most four lines, but this is a fifth number'],
    ['a 0 8\n5', "t:6: expected an operation (a, r, c, m or f), found '5'"],
    ['a 0 8\u007f', 't:5: byte 0x7f is not text; this is not a .rep trace'],
    ['a 0 8\u0000', 't:5: byte 0x00 is not text; this is not a .rep trace'],
    ['é 0 8', 't:5: byte 0xc3 is not text; this is not a .rep trace'],
    [
      `a ${' '.repeat(300)} 0 8`,
      't:5: the line is longer than 256 bytes; an operation is a letter and up to three numbers'
    ]
  ])('refuses %j', (text, message) => {
    expect(() => parseTrace(HEADER + text, 't')).toThrow(
      expect.objectContaining({
        name: 'OffheapError',
        code: 'ERR_OFFHEAP_TRACE',
        message: message + linkOf('ERR_OFFHEAP_TRACE')
      })
    )
  })

  it.each(['', '\n\n', '# only a comment\n'])('refuses %j, which has no operations', text => {
    expect(() => parseTrace(text, 't')).toThrow('t: it has neither a header nor an operation')
  })

  it.each([0, 1, 2, 3, 4, 5])(
    'takes a line of 256 bytes and no more, behind a byte order mark too, in portions of %i',
    portion => {
      for (const mark of ['', '\ufeff']) {
        for (const length of [256, 257, 258, 259, 260, 300]) {
          const bytes = new TextEncoder().encode(`${mark}a 0${' '.repeat(length - 5)}12\n`)
          const parser = new TraceParser('t')
          const push = () => {
            for (let i = 0; i < bytes.length; i += portion || 1000)
              parser.push(bytes.subarray(i, i + (portion || 1000)))
            return parser.finish('t')
          }
          if (length === 256) expect(push().sizes[0]).toBe(12)
          else expect(push).toThrow('t:1: the line is longer than 256 bytes')
        }
      }
    }
  )

  it("skips the writes of MIT's traces, and notes that", () => {
    const trace = parseTrace('1000\n1\n4\n1\na 0 8\nw 0 8\nf 0\nw 0 3\n')
    expect(rows(trace)).toEqual([
      [MALLOC, 0, 8, 0, 5],
      [FREE, 0, 0, 0, 7]
    ])
    expect(trace.notes).toEqual([
      'skipped 2 lines "w ID SIZE": they write to a block, and do not call the allocator'
    ])
  })

  describe('refuses input that never ends', () => {
    /** Pushes the same portion again and again; resolves to how many there were, and the error. */
    function feed(
      start: string,
      portion: string,
      most = 5000
    ): { portions: number; message: string } {
      const parser = new TraceParser('t')
      const bytes = new TextEncoder().encode(portion)
      let portions = 0
      try {
        parser.push(new TextEncoder().encode(start))
        for (; portions < most; portions++) parser.push(bytes)
      } catch (error) {
        return { portions, message: error instanceof Error ? error.message : '' }
      }
      return { portions, message: '' }
    }

    it.each([
      ['zeros', '', '\0', 0, 't:1: byte 0x00 is not text'],
      ['zeros behind text', 'a 0 8', '\0', 0, 't:1: byte 0x00 is not text'],
      ['zeros behind a byte order mark', '\ufeff', '\0', 0, 't:1: byte 0x00 is not text'],
      ['one line', '', 'a', 256, 't:1: the line is longer than 256 bytes'],
      ['spaces', '', ' ', 256, 't:1: the line is longer than 256 bytes'],
      [
        'one comment',
        '#',
        'x'.repeat(1000),
        1048,
        't:1: the line is longer than 1048576 bytes, its comment included'
      ],
      [
        'empty lines',
        'a 0 8\n',
        '\n'.repeat(1000),
        1048,
        't:1048578: no operation in 1048576 lines'
      ],
      ['comments', '', '#\n'.repeat(1000), 1048, 't:1048577: no operation in 1048576 lines']
    ])('%s', (_what, start, portion, portions, message) => {
      const refused = feed(start, portion)
      expect(refused.message).toContain(message)
      expect(refused.portions).toBe(portions)
    })

    it('a long comment at once, as in portions', () => {
      expect(() => parseTrace(`#${'x'.repeat(2 ** 20)}\n1\n`, 't')).toThrow(
        't:1: the line is longer than 1048576 bytes'
      )
      expect(parseTrace(`#${'x'.repeat(2 ** 20 - 1)}\n1\n`, 't').length).toBe(0)
    })
  })

  it('accepts 256 bytes of text directly followed by a comment', () => {
    const line = `a 0${' '.repeat(251)}12`
    expect(line.length).toBe(256)
    expect(parseTrace(`${line}#${'x'.repeat(300)}\n`).sizes[0]).toBe(12)
  })

  it.each([
    ['one byte of three', [0xef, 0x61], '0xef'],
    ['two bytes of three', [0xef, 0xbb, 0x61], '0xef'],
    ['another first byte', [0x61, 0xbb, 0xbf], '0xbb'],
    ['another middle byte', [0xef, 0x61, 0xbf], '0xef'],
    ['two of the same', [0xef, 0xbb, 0xbf, 0xef, 0xbb, 0xbf], '0xef']
  ])('takes no other bytes for a byte order mark: %s', (_what, bytes, wrong) => {
    const parser = new TraceParser('t')
    const refusal = `t:1: byte ${wrong} is not text`
    expect(() => parser.push(Uint8Array.from([...bytes]))).toThrow(refusal)
    const whole = Uint8Array.from([...bytes, 0x20, 0x30, 0x0a])
    expect(() => new TraceParser('t').push(whole)).toThrow(refusal)
  })

  it('accepts a byte order mark only at the beginning', () => {
    const parser = new TraceParser('t')
    parser.push(new TextEncoder().encode('a 0 8\n'))
    expect(() => parser.push(Uint8Array.of(0xef))).toThrow('t:2: byte 0xef is not text')
    expect(() => parseTrace('a 0 8\n\ufefff 0\n', 't')).toThrow('t:2: byte 0xef is not text')
  })

  it('refuses a header that is not a whole number', () => {
    expect(() => parseTrace('-5\n', 't')).toThrow(
      "t:1: a header line must be a whole number, 0 or more, found '-5'"
    )
    expect(() => parseTrace('12.5\n', 't')).toThrow(
      "t:1: a header line must be a whole number, 0 or more, found '12.5'"
    )
  })
})
