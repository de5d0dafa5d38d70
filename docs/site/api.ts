/**
 * Everything that `import … from 'offheap'` gives. Begin with {@link Heap}.
 *
 * @module offheap
 */
export * from '../../lib/index.js'
