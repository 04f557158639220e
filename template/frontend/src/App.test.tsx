import { onlineManager, QueryClientProvider } from '@tanstack/react-query'
import { act, cleanup, fireEvent, render, screen, waitFor } from '@testing-library/react'
import { createMemoryRouter } from 'react-router'
import { RouterProvider } from 'react-router/dom'
import { afterEach, beforeEach, expect, test, vi } from 'vitest'
import { ApiClientError, del, get } from './api/client'
import { createQueryClient } from './api/queryClient'
import { getUser, setUser } from './auth/user'
import { routes } from './routes'

const service = vi.fn<typeof fetch>()

beforeEach(() => {
  localStorage.clear()
  document.cookie = 'language=; path=/; max-age=0'
  service.mockReset()
  // Such as the list of sessions
  service.mockImplementation(async () => Response.json([]))
  vi.stubGlobal('fetch', service)
})

afterEach(() => {
  cleanup()
  onlineManager.setOnline(true)
})

function open(path: string) {
  const router = createMemoryRouter(routes, { initialEntries: [path] })
  render(
    <QueryClientProvider client={createQueryClient()}>
      <RouterProvider router={router} />
    </QueryClientProvider>,
  )
  return router
}

function respondWith(status: number, body: unknown) {
  service.mockResolvedValueOnce(Response.json(body, { status }))
}

function submitLogin() {
  fireEvent.change(screen.getByLabelText('Email address'), { target: { value: 'ada@example.com' } })
  fireEvent.change(screen.getByLabelText('Password'), { target: { value: 'correct horse' } })
  fireEvent.click(screen.getByRole('button', { name: 'Log in' }))
}

test('a protected page asks to log in, and opens after that', async () => {
  open('/account')
  respondWith(200, { pid: '1', name: 'Ada', email: 'ada@example.com' })
  respondWith(200, { pid: '1', name: 'Ada', email: 'ada@example.com' })

  submitLogin()

  expect(await screen.findByText('ada@example.com')).toBeTruthy()
  expect(getUser()).toBe('1')
  expect(document.title).toContain('Your account')
})

test('a wrong password says so, and nobody is logged in', async () => {
  open('/login')
  respondWith(401, { error: 'unauthorized', description: 'You do not have permission' })

  submitLogin()

  expect((await screen.findByRole('alert')).textContent).toContain('The email address or the password is wrong.')
  expect(getUser()).toBeNull()
})

test('a user whose session has ended is sent to the login page', async () => {
  setUser('1')
  respondWith(401, { error: 'unauthorized' })

  open('/account')

  expect(await screen.findByRole('heading', { name: 'Log in' })).toBeTruthy()
  expect(getUser()).toBeNull()
})

test('a 401 for an old session does not log out a user who has logged in since', async () => {
  setUser('old')
  service.mockImplementationOnce(async () => {
    setUser('new')
    return Response.json({ error: 'unauthorized' }, { status: 401 })
  })
  respondWith(200, { pid: '1', name: 'Ada', email: 'ada@example.com' })

  open('/account')

  expect(await screen.findByText('ada@example.com')).toBeTruthy()
  expect(getUser()).toBe('new')
})

test('a user who logs in in another window is logged in here, too', async () => {
  setUser('pid of Ada')
  respondWith(200, { pid: '1', name: 'Ada', email: 'ada@example.com' })
  open('/account')
  await screen.findByText('ada@example.com')
  let respondWithBob: (response: Response) => void = () => {}
  service.mockReturnValueOnce(new Promise((resolve) => (respondWithBob = resolve)))

  localStorage.setItem('user', 'pid of Bob')
  fireEvent(window, new StorageEvent('storage', { key: 'user' }))

  expect(screen.queryByText('ada@example.com')).toBeNull()
  respondWithBob(Response.json({ pid: '2', name: 'Bob', email: 'bob@example.com' }))
  expect(await screen.findByText('bob@example.com')).toBeTruthy()
})

test('other storage changes in another window have no effect here', () => {
  const client = createQueryClient()
  client.setQueryData(['posts'], [])

  fireEvent(window, new StorageEvent('storage', { key: 'theme' }))

  expect(client.getQueryData(['posts'])).toEqual([])
})

test('a user who has been deleted is logged out', async () => {
  setUser('1')
  respondWith(404, { error: 'not_found', description: 'Resource was not found' })

  open('/account')

  expect(await screen.findByRole('heading', { name: 'Log in' })).toBeTruthy()
  expect(getUser()).toBeNull()
})

test('a verification link is not used up before the button is pressed', async () => {
  open('/verify#token-of-the-mail')
  expect(service).not.toHaveBeenCalled()
  respondWith(200, null)

  fireEvent.click(screen.getByRole('button', { name: 'Verify' }))

  expect(await screen.findByRole('heading', { name: 'Your email address is verified.' })).toBeTruthy()
  expect(service.mock.lastCall?.[0]).toBe('/api/auth/verify/token-of-the-mail')
})

test('a verification link that was used before logs nobody out', async () => {
  setUser('1')
  open('/verify#used')
  respondWith(401, { error: 'unauthorized' })

  fireEvent.click(screen.getByRole('button', { name: 'Verify' }))

  expect((await screen.findByRole('alert')).textContent).toMatch(/already been used/)
  expect(getUser()).toBe('1')
})

test('a new email can be requested if the verification link is void', async () => {
  open('/verify#used')
  respondWith(401, { error: 'unauthorized' })
  fireEvent.click(screen.getByRole('button', { name: 'Verify' }))
  fireEvent.change(await screen.findByLabelText('Email address'), { target: { value: 'ada@example.com' } })
  respondWith(200, null)

  fireEvent.click(screen.getByRole('button', { name: 'Send the email again' }))

  expect(await screen.findByText(/on its way/)).toBeTruthy()
  expect(service.mock.lastCall?.[0]).toBe('/api/auth/resend-verification-mail')
})

test('logging out ends the session, and the page is not kept for the next user', async () => {
  setUser('1')
  respondWith(200, { pid: '1', name: 'Ada', email: 'ada@example.com' })
  const router = open('/account?of=ada')

  fireEvent.click(screen.getByRole('button', { name: 'Log out' }))

  expect(await screen.findByRole('link', { name: 'Log in' })).toBeTruthy()
  expect(getUser()).toBeNull()
  expect(router.state.location).toMatchObject({ pathname: '/', state: null })
})

test('an error description from the service is shown', async () => {
  open('/forgot')
  respondWith(503, { error: 'service_unavailable', description: 'Try again later' })

  fireEvent.change(screen.getByLabelText('Email address'), { target: { value: 'ada@example.com' } })
  fireEvent.click(screen.getByRole('button', { name: 'Send the link' }))

  expect((await screen.findByRole('alert')).textContent).toContain('Try again later')
})

test('without a network a form says so, and nothing is sent when there is one again', async () => {
  open('/login')
  onlineManager.setOnline(false)
  service.mockRejectedValueOnce(new TypeError('Failed to fetch'))

  submitLogin()

  expect((await screen.findByRole('alert')).textContent).toMatch(/cannot be reached/)
  expect(screen.getByRole('button', { name: 'Log in' }).getAttribute('aria-disabled')).toBe('false')
  await act(async () => onlineManager.setOnline(true))
  expect(service).toHaveBeenCalledOnce()
})

test('a reset link that was used up says so', async () => {
  open('/reset#token-of-the-mail')
  respondWith(401, { error: 'unauthorized', description: 'You do not have permission' })

  fireEvent.change(screen.getByLabelText('New password'), { target: { value: 'new-password' } })
  fireEvent.click(screen.getByRole('button', { name: 'Set the password' }))

  expect(await screen.findByRole('heading', { name: 'This link no longer works' })).toBeTruthy()
})

test('a form is sent once, however often its button is pressed', async () => {
  open('/forgot')
  service.mockReturnValueOnce(new Promise(() => {}))
  fireEvent.change(screen.getByLabelText('Email address'), { target: { value: 'ada@example.com' } })
  const button = screen.getByRole('button', { name: 'Send the link' })

  fireEvent.click(button)
  await waitFor(() => expect(button.getAttribute('aria-disabled')).toBe('true'))
  await act(async () => fireEvent.click(button))

  expect(service).toHaveBeenCalledOnce()
})

test('a page that takes the place of a form is announced', async () => {
  open('/forgot')
  respondWith(200, null)

  fireEvent.change(screen.getByLabelText('Email address'), { target: { value: 'ada@example.com' } })
  fireEvent.click(screen.getByRole('button', { name: 'Send the link' }))

  const heading = await screen.findByRole('heading', { name: 'Check your email' })
  expect(document.activeElement).toBe(heading)
})

test('a new password is sent with the token of the link', async () => {
  open('/reset#token-of-the-mail')
  respondWith(200, null)

  fireEvent.change(screen.getByLabelText('New password'), { target: { value: 'new-password' } })
  fireEvent.click(screen.getByRole('button', { name: 'Set the password' }))

  expect(await screen.findByRole('heading', { name: 'Your new password has been set.' })).toBeTruthy()
  expect(service.mock.lastCall?.[1]?.body).toBe(
    JSON.stringify({ token: 'token-of-the-mail', password: 'new-password' }),
  )
})

test('a link that is pasted over an incomplete one counts', async () => {
  const router = open('/reset')
  expect(screen.getByRole('alert').textContent).toMatch(/incomplete/)
  respondWith(200, null)

  await act(() => router.navigate('/reset#token-of-the-mail'))
  fireEvent.change(screen.getByLabelText('New password'), { target: { value: 'new-password' } })
  fireEvent.click(screen.getByRole('button', { name: 'Set the password' }))

  expect(await screen.findByRole('heading', { name: 'Your new password has been set.' })).toBeTruthy()
})

test('the address is changed with the password', async () => {
  setUser('1')
  const router = open('/account/email')
  const type = (password: string) => {
    fireEvent.change(screen.getByLabelText('Email address'), { target: { value: 'new@example.com' } })
    fireEvent.change(screen.getByLabelText('Current password'), { target: { value: password } })
    fireEvent.click(screen.getByRole('button', { name: 'Send the link' }))
  }
  respondWith(422, {
    error: 'unprocessable_entity',
    description: 'The password is wrong.',
    errors: { current_password: [] },
  })
  type('wrong')
  expect((await screen.findByRole('alert')).textContent).toContain('The current password is wrong.')
  expect(getUser()).toBe('1')
  respondWith(200, null)

  type('correct horse')

  expect(await screen.findByText(/Check the inbox of your new address/)).toBeTruthy()
  expect(router.state.location.pathname).toBe('/account')
  const call = service.mock.calls.find(([, init]) => String(init?.body).includes('correct horse'))
  expect(call?.[0]).toBe('/api/account/email')
})

test('another session can be ended, and this one cannot', async () => {
  setUser('1')
  respondWith(200, { name: 'Ada', email: 'ada@example.com', is_verified: true })
  const began = { browser: 'Firefox, Linux', created_at: '2026-11-26T12:00:00Z' }
  respondWith(200, [
    { ...began, pid: '1', is_current: true },
    { ...began, pid: '2', is_current: false },
  ])
  open('/account')

  fireEvent.click(await screen.findByRole('button', { name: 'Log out there' }))

  await waitFor(() => expect(screen.queryByRole('button', { name: 'Log out there' })).toBeNull())
  expect(service.mock.calls.map(([path]) => path)).toContain('/api/account/sessions/2')
})

test('a user who deletes the account is logged out', async () => {
  setUser('1')
  open('/account/delete')
  fireEvent.change(screen.getByLabelText('Current password'), { target: { value: 'correct horse' } })
  respondWith(200, null)

  fireEvent.click(screen.getByRole('button', { name: 'Delete the account' }))

  await waitFor(() => expect(getUser()).toBeNull())
})

test('the pages speak the language that a person chooses', async () => {
  open('/login')

  fireEvent.click(screen.getByRole('button', { name: 'Deutsch' }))

  expect(await screen.findByRole('heading', { name: 'Anmelden' })).toBeTruthy()
  expect(document.documentElement.lang).toBe('de')
  expect(document.cookie).toContain('language=de')
  respondWith(401, { error: 'unauthorized' })
  fireEvent.change(screen.getByLabelText('E-Mail-Adresse'), { target: { value: 'ada@example.com' } })
  fireEvent.change(screen.getByLabelText('Passwort'), { target: { value: 'wrong' } })
  fireEvent.click(screen.getByRole('button', { name: 'Anmelden' }))
  expect((await screen.findByRole('alert')).textContent).toContain('Passwort ist falsch')
})

test('skipping to the content keeps the address', () => {
  const router = open('/reset#token-of-the-mail')

  fireEvent.click(screen.getByRole('link', { name: 'Skip to content' }))

  expect(document.activeElement).toBe(screen.getByRole('main'))
  expect(router.state.location.hash).toBe('#token-of-the-mail')
  expect(window.location.hash).toBe('')
})

test('an empty response is undefined, and invalid JSON an error', async () => {
  service.mockResolvedValueOnce(new Response(null, { status: 200 }))
  expect(await del('/api/posts/1')).toBeUndefined()

  service.mockResolvedValueOnce(new Response('<html>', { status: 200 }))
  await expect(get('/api/posts/1')).rejects.toBeInstanceOf(ApiClientError)
})

test('an address without a page says so', () => {
  open('/nowhere')

  expect(screen.getByRole('heading', { name: 'Page not found' })).toBeTruthy()
})
