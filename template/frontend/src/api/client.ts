import { clearUser, getUser } from '../auth/user'
import type { ApiError } from '../bindings/ApiError'
import { getTexts } from '../texts'

/** How long a response may take. */
const TIMEOUT_MS = 20_000

/** A failed call. Its status is 0 if there was no response at all. */
export class ApiClientError extends Error {
  readonly status: number
  readonly body: ApiError | null
  /** The invalid fields. */
  readonly fields: string[]

  constructor(status: number, message: string, body: ApiError | null = null, fields: string[] = []) {
    super(message)
    this.name = 'ApiClientError'
    this.status = status
    this.body = body
    this.fields = fields
  }
}

/**
 * Calls the service. A 401 response means that the session of `user` has ended, unless that is null.
 */
export async function request<T>(
  method: string,
  path: string,
  body?: unknown,
  user: string | null = getUser(),
): Promise<T> {
  const headers = new Headers()
  if (body !== undefined) {
    headers.set('Content-Type', 'application/json')
  }

  let response: Response
  try {
    const signal = AbortSignal.timeout(TIMEOUT_MS)
    response = await fetch(path, { method, headers, body: JSON.stringify(body), signal })
  } catch {
    throw new ApiClientError(0, getTexts().unreachable)
  }

  if (response.ok) {
    return (await content(response)) as T
  }
  // RequireAuth then shows the login page, unless another user has logged in in the meantime.
  if (response.status === 401 && user !== null && user === getUser()) {
    clearUser()
  }
  throw await failure(response)
}

/** The content of a response, which may be empty whatever its status. */
async function content(response: Response): Promise<unknown> {
  try {
    const text = await response.text()
    return text === '' ? undefined : JSON.parse(text)
  } catch {
    throw new ApiClientError(response.status, getTexts().unreadable)
  }
}

async function failure(response: Response): Promise<ApiClientError> {
  const body: unknown = await response.json().catch(() => null)
  if (isApiError(body)) {
    return new ApiClientError(response.status, body.message, body)
  }
  if (isLocoError(body)) {
    return new ApiClientError(response.status, body.description, null, Object.keys(body.errors ?? {}))
  }
  return new ApiClientError(response.status, getTexts().failed(response.status))
}

function isApiError(body: unknown): body is ApiError {
  return typeof body === 'object' && body !== null && 'code' in body && 'message' in body
}

interface LocoError {
  error: string
  description: string
  /** The errors by field. */
  errors?: Record<string, unknown>
}

/** Loco's own error response. Not all of them have a description. */
function isLocoError(body: unknown): body is LocoError {
  return typeof body === 'object' && body !== null && 'error' in body && 'description' in body
}

export function get<T>(path: string): Promise<T> {
  return request<T>('GET', path)
}

export function post<T>(path: string, body: unknown, user?: string | null): Promise<T> {
  return request<T>('POST', path, body, user)
}

export function put<T>(path: string, body: unknown): Promise<T> {
  return request<T>('PUT', path, body)
}

export function del(path: string): Promise<void> {
  return request<void>('DELETE', path)
}
