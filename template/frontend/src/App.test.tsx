import { QueryClientProvider } from '@tanstack/react-query'
import { cleanup, fireEvent, render, screen } from '@testing-library/react'
import { createMemoryRouter, RouterProvider } from 'react-router'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { createQueryClient } from './api/queryClient'
import { getToken, setToken } from './auth/token'
import { routes } from './routes'

const service = vi.fn<typeof fetch>()

beforeEach(() => {
  localStorage.clear()
  service.mockReset()
  vi.stubGlobal('fetch', service)
})

afterEach(cleanup)

function open(path: string) {
  const router = createMemoryRouter(routes, { initialEntries: [path] })
  render(
    <QueryClientProvider client={createQueryClient()}>
      <RouterProvider router={router} />
    </QueryClientProvider>,
  )
  return router
}

function answer(status: number, body: unknown) {
  service.mockResolvedValueOnce(Response.json(body, { status }))
}

function submitLogin() {
  fireEvent.change(screen.getByLabelText('Email'), { target: { value: 'ada@example.com' } })
  fireEvent.change(screen.getByLabelText('Password'), { target: { value: '12341234' } })
  fireEvent.click(screen.getByRole('button', { name: 'Log in' }))
}

test('a protected page asks to log in, and opens after that', async () => {
  open('/account')
  answer(200, { token: 'jwt', pid: '1', name: 'Ada', is_verified: true })
  answer(200, { pid: '1', name: 'Ada', email: 'ada@example.com' })

  submitLogin()

  expect(await screen.findByText('ada@example.com')).toBeTruthy()
  expect(new Headers(service.mock.lastCall?.[1]?.headers).get('Authorization')).toBe('Bearer jwt')
  expect(document.title).toContain('Your account')
})

test('a wrong password says so, and nobody is logged in', async () => {
  open('/login')
  answer(401, { error: 'unauthorized', description: 'You do not have permission' })

  submitLogin()

  expect((await screen.findByRole('alert')).textContent).toBe('The email or the password is wrong.')
  expect(getToken()).toBeNull()
})

test('a token that the service no longer takes is dropped, and the login page opens', async () => {
  setToken('expired')
  answer(401, { error: 'unauthorized' })

  open('/account')

  expect(await screen.findByRole('heading', { name: 'Log in' })).toBeTruthy()
  expect(getToken()).toBeNull()
})

test('a verification link that was used before logs nobody out', async () => {
  setToken('jwt')
  answer(401, { error: 'unauthorized' })

  open('/verify/used')

  expect((await screen.findByRole('alert')).textContent).toMatch(/used already/)
  expect(getToken()).toBe('jwt')
})

test('logging out drops the token', async () => {
  setToken('jwt')
  open('/')

  fireEvent.click(screen.getByRole('button', { name: 'Log out' }))

  expect(await screen.findByRole('heading', { name: 'Log in' })).toBeTruthy()
  expect(getToken()).toBeNull()
})

test('a new password is sent with the token of the link', async () => {
  open('/reset#token-of-the-mail')
  answer(200, null)

  fireEvent.change(screen.getByLabelText('New password'), { target: { value: 'new-password' } })
  fireEvent.click(screen.getByRole('button', { name: 'Set the password' }))

  expect(await screen.findByRole('heading', { name: 'Log in with the new password' })).toBeTruthy()
  expect(service.mock.lastCall?.[1]?.body).toBe(
    JSON.stringify({ token: 'token-of-the-mail', password: 'new-password' }),
  )
})

test('an address without a page says so', () => {
  open('/nowhere')

  expect(screen.getByRole('heading', { name: 'Page not found' })).toBeTruthy()
})
