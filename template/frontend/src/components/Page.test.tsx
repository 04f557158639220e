import { render, screen } from '@testing-library/react'
import { expect, test } from 'vitest'
import { Page } from './Page'

test('each page but the first is announced by its heading', () => {
  const { rerender } = render(<Page key="first" title="First" />)
  expect(document.activeElement).toBe(document.body)

  rerender(<Page key="second" title="Second" />)
  expect(document.activeElement).toBe(screen.getByRole('heading', { name: 'Second' }))
})
