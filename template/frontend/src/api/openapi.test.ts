import { expect, test } from 'vitest'

interface Content {
  schema: { $ref?: string; type?: string; items?: { $ref?: string } }
}
interface Operation {
  responses: Record<string, { content?: Record<string, Content> }>
}

interface Document {
  paths: Record<string, Record<string, Operation>>
}

// Not imported, as `npm run build` also works without it.
const documents = import.meta.glob<Document>('../../../openapi.json', { import: 'default', eager: true })
const operations = new Map<string, Operation>()
for (const [path, methods] of Object.entries(Object.values(documents)[0].paths)) {
  for (const [method, operation] of Object.entries(methods)) {
    operations.set(`${method} ${path.replace(/\{\w+\}/g, '{}')}`, operation)
  }
}

const NAMES: Record<string, string> = { Null: 'null', Empty: 'object' }

/** The name of the type of a successful response. */
function responseType(operation: Operation): string | undefined {
  const success = Object.entries(operation.responses).find(([status]) => status.startsWith('2'))
  const schema = success?.[1].content?.['application/json'].schema
  const name = (ref?: string) => ref?.replace('#/components/schemas/', '')
  const type = schema?.items ? `${name(schema.items.$ref)}[]` : name(schema?.$ref)
  // utoipa names Page<T> as Page_T.
  return NAMES[type ?? ''] ?? type?.replace(/^Page_(\w+)$/, 'Page<$1>')
}

const sources = import.meta.glob<string>(['./*.ts', '!./*.test.ts', '!./client.ts'], {
  query: '?raw',
  import: 'default',
  eager: true,
})
// get<Type>('/api/…') or request<Type>('METHOD', '/api/…')
const CALL = /\b(get|post|put|del|request)(?:<([\w<>[\]]+)>)?\(\s*(?:'(\w+)', )?['"`](\/api\/[^'"`?]*)/g
const calls = Object.values(sources).flatMap((source) =>
  [...source.matchAll(CALL)].map(([, name, type, method, path]) => ({
    operation: `${methodOf(method ?? name)} ${template(path)}`,
    type,
  })),
)

function methodOf(name: string): string {
  return name === 'del' ? 'delete' : name.toLowerCase()
}

/** A path with its parameters as in `operations`, and without a query. */
function template(path: string): string {
  return path.replace(/\/\$\{[^}]+\}/g, '/{}').replace(/\$\{.*/, '')
}

test.each(calls)('$operation is described and responds with $type', ({ operation, type }) => {
  const described = operations.get(operation)
  expect(described).toBeDefined()
  if (type) {
    expect(responseType(described!)).toBe(type)
  }
})

test('no call is overlooked', () => {
  const paths = Object.values(sources).flatMap((source) => [...source.matchAll(/['"`]\/api\//g)])
  expect(calls.length).toBe(paths.length)
  expect(calls.length).toBeGreaterThan(0)
})
